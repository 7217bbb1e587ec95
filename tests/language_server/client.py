"""A small client of the Language Server Protocol, over a child's standard input and output: what an editor does, and no more."""

import json
import subprocess
import threading

TIMEOUT = 60.0  # seconds; the first answer waits for the schema to be read

# No catalogue of schemas is fetched from the network: a page names its schema itself.
SETTINGS = {"yaml": {"schemaStore": {"enable": False}, "validate": True, "completion": True, "hover": True}}


class Editor:
    """An editor with one server; documents are given as text and known by their URI."""

    def __init__(self, command, root):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root
        )
        self.answers, self.diagnostics, self.changed = {}, {}, threading.Condition()
        self.number = 0
        self.lock = threading.Lock()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        folder = {"uri": root.as_uri(), "name": root.name}
        documents = {
            "publishDiagnostics": {},
            "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
            "hover": {"contentFormat": ["markdown"]},
        }
        capabilities = {"workspace": {"configuration": True}, "textDocument": documents}
        self.ask(
            "initialize",
            {"processId": None, "rootUri": root.as_uri(), "workspaceFolders": [folder], "capabilities": capabilities},
        )
        self.tell("initialized", {})

    def open(self, path, text):
        """Open `text` as the file `path`, which need not be there; its URI."""
        uri = path.as_uri()
        self.diagnostics.pop(uri, None)
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def completion(self, uri, line, character):
        """Label -> item of what is offered at a place (both from 0), in the order of the answer."""
        found = self.ask("textDocument/completion", _at(uri, line, character))
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"]: item for item in items}

    def hover(self, uri, line, character):
        """The text shown over a place, "" where there is none."""
        found = self.ask("textDocument/hover", _at(uri, line, character))
        return found["contents"]["value"] if found else ""

    def problems(self, uri):
        """The diagnostics of a document, once they are there."""
        with self.changed:
            self.changed.wait_for(lambda: uri in self.diagnostics, TIMEOUT)
            return self.diagnostics[uri]

    def ask(self, method, params):
        """Send a request and wait for its answer."""
        self.number += 1
        number = self.number
        self._send({"id": number, "method": method, "params": params})
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.answers, TIMEOUT), f"no answer to {method}"
            answer = self.answers.pop(number)
        assert "error" not in answer, answer
        return answer.get("result")

    def tell(self, method, params):
        """Send a notification."""
        self._send({"method": method, "params": params})

    def close(self):
        """End the server as the protocol wants it."""
        self.ask("shutdown", None)
        self.tell("exit", None)
        self.process.wait(10)
        self.reader.join(10)
        self.process.stdin.close()
        self.process.stdout.close()

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode("utf-8")
        with self.lock:
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self.process.stdin.flush()

    def _read(self):
        stream = self.process.stdout
        while line := stream.readline():
            length = 0
            while line.strip():
                name, _, value = line.decode("ascii").partition(":")
                length = int(value) if name.lower() == "content-length" else length
                line = stream.readline()
            self._take(json.loads(stream.read(length)))

    def _take(self, message):
        method = message.get("method")
        if "id" in message and method:  # a question of the server
            asked = message["params"]["items"] if method == "workspace/configuration" else None
            result = asked and [SETTINGS.get(item.get("section"), {}) for item in asked]
            self._send({"id": message["id"], "result": result})
            return
        with self.changed:
            if method == "textDocument/publishDiagnostics":
                self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
            elif "id" in message:
                self.answers[message["id"]] = message
            self.changed.notify_all()


def _at(uri, line, character):
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
