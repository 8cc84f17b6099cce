"""Classify images with the model beside this file, as the server that trained it does.

It needs Python 3.10 or newer, NumPy, Pillow and ONNX Runtime: pip install numpy pillow onnxruntime
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "digits_classify"))  # modules of the server: they read the images and run the model

from inference.download.standalone import main  # noqa: E402 - only the line above lets Python find it

if __name__ == "__main__":
    sys.exit(main(HERE))
