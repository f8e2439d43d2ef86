include("$(BOARD_DIR)/manifest.py")
include("../../manifest.py", role="ue")
