include("$(PORT_DIR)/boards/manifest.py")
include("../../manifest.py", role="relay", espnow=True)
