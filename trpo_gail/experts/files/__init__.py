"""What files are made of: HDF5, Arrow, NumPy's archives, text, pickles; opened so that nothing in them runs."""
