"""The live console: prompts as they come, and answers on the same stream."""
