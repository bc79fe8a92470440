# Evenloop: `make help` lists what can be asked for. (Grows with the tree.)
.PHONY: help
help:
	@echo "make run | test | windows | windows-test | bench | lint | cross-check | clean"
