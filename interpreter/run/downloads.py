"""Public datasets that `expt data fetch` knows: where their files are, and what they should be."""

from __future__ import annotations

from dataclasses import dataclass

_ZENODO = "https://zenodo.org/records/4914718/files"
_CIFAR_10_1 = "https://raw.githubusercontent.com/modestyachts/CIFAR-10.1/master/datasets"


@dataclass(frozen=True, slots=True)
class File:
    """One file to download. A tar archive is unpacked."""

    url: str
    checksum: str = ""  # "md5:..." or "sha256:..."; "": not known here

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.url.rpartition("/")[2]

    @property
    def archive(self) -> bool:
        """Whether it is unpacked."""
        return self.name.endswith((".tar.gz", ".tgz", ".tar"))


@dataclass(frozen=True, slots=True)
class Download:
    """A dataset that can be had from its publisher."""

    name: str
    title: str
    files: tuple[File, ...]
    datasets: tuple[str, ...]  # types of dataset that can read it
    note: str = ""  # what else to know before using it


KNOWN: dict[str, Download] = {
    found.name: found
    for found in (
        Download(
            "lba-30",
            "ATOM3D, ligand binding affinity, split at 30 % sequence identity",
            # The publisher's checksum as another project states it: it could not be compared with the publisher's page.
            (File(f"{_ZENODO}/LBA-split-by-sequence-identity-30.tar.gz", "md5:578ef179947bc5e3621bb24db89cbd55"),),
            ("atom3d_lba",),
            "from PDBBind's refined set of 2019, whose terms apply to the affinities",
        ),
        Download(
            "lba-60",
            "ATOM3D, ligand binding affinity, split at 60 % sequence identity",
            (File(f"{_ZENODO}/LBA-split-by-sequence-identity-60.tar.gz"),),
            ("atom3d_lba",),
            "from PDBBind's refined set of 2019, whose terms apply to the affinities; the page has to say `split: identity60`",
        ),
        Download(
            "cifar10",
            "CIFAR-10, the python version",
            (File("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a"),),
            ("cifar10",),
        ),
        Download(
            "cifar10-1",
            "CIFAR-10.1, both versions of its test set",
            tuple(
                File(f"{_CIFAR_10_1}/cifar10.1_{version}_{part}.npy") for version in ("v4", "v6") for part in ("data", "labels")
            ),
            ("cifar10_1",),
            "the images are from TinyImages, whose terms apply",
        ),
    )
}


def that_reads(dataset: str) -> list[Download]:
    """The downloads that a type of dataset can read."""
    return [found for found in KNOWN.values() if dataset in found.datasets]
