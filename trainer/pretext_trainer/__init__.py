# The trainer of pretext: training and evaluation that need PyTorch. TypeScript starts it with one job file; it answers
# with events as JSON lines. src/finetune/protocol.ts is the source of what both say.
