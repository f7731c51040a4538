"""Exports of trained models: graphs that run without torch, checked against the run before anything is written.

What may enter: graphs, their check, and what a folder for another runtime is made of. Nothing here reads user data.
"""
