"""Make the keys of one machine (`python -m config.onemachine.keyring KEYRING SIGNING_KEYS`): the local
keyring that wraps every organization's key, and the keys that sign.
"""

import sys
from contextlib import suppress
from pathlib import Path

from kernel.crypto.keyring import create_local_keyring
from kernel.crypto.signing_keys import create_signing_keys

if __name__ == "__main__":
    keyring, signing_keys = map(Path, sys.argv[1:])
    # Never overwritten: without the keyring, everything that it wraps is lost.
    with suppress(FileExistsError):
        create_local_keyring(keyring)
    with suppress(FileExistsError):
        create_signing_keys(signing_keys)
