"""A device-neutral autograd library that finds its hardware through plugins"""
