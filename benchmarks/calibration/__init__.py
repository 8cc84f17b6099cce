"""How well confidences agree with accuracy before and after calibration, and which unknown images are called unsure."""
