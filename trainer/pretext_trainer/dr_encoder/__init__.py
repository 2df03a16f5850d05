# DR-Encoder (arXiv 2412.17053): federated LoRA whose updates travel through an auto-encoder that never saw a real update.
