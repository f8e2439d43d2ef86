"""Run a role as a board does. SETTINGS STATE_DIR [once]

micropython -X heapsize=... role.py FIRMWARE_DIR SETTINGS STATE_DIR [once]
"""

import sys

sys.path[:] = [sys.argv[1]] + [p for p in sys.path if p.startswith(".")]

from msgin5g.main import main  # noqa: E402

sys.exit(main(sys.argv[2], sys.argv[3], True, len(sys.argv) > 4))
