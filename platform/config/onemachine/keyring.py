"""Make the local keyring that wraps every organization's key (`python -m config.onemachine.keyring PATH`)."""

import sys
from contextlib import suppress
from pathlib import Path

from kernel.crypto.providers.keyring import create_local_keyring

if __name__ == "__main__":
    # Never overwritten: without the keyring, everything that it wraps is lost.
    with suppress(FileExistsError):
        create_local_keyring(Path(sys.argv[1]))
