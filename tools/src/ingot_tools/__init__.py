"""The ingot command: devices, doctor, explain, demo"""
