"""Record folders, attempts, status, and the execution of stages. Light: what is heavy is started in other processes."""
