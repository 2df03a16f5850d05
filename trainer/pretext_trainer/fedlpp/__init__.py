# FedLPP (arXiv 2406.10976): federated LoRA whose clients get a quantised adapter while the server keeps the exact one.
