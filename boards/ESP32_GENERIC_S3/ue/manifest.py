include("$(PORT_DIR)/boards/manifest.py")
include("../../manifest.py", role="ue", espnow=True)
