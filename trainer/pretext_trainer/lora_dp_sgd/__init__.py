# "LoRA imitates DP-SGD" (arXiv 2409.17538): the noise that LoRA puts into a gradient, what it hides, and real DP-SGD on LoRA.
