# ScaleOT (arXiv 2412.09812): offsite tuning with a lossy emulator of chosen size, built from importance found by search.
