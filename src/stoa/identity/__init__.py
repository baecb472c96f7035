"""Phase 1: how people arrive and who they are. One folder for each protocol."""
