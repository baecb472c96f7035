"""Phase 2: where people come from. One folder for each system."""
