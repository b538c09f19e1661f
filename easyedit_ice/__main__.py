"""``python -m easyedit_ice``, which launchers of several processes call."""

import sys

from easyedit_ice.cli import main

if __name__ == "__main__":
    sys.exit(main())
