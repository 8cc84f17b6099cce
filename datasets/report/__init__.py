"""The engine that looks at a dataset's images: copies, unusual images, wrong labels. Plain Python, no server code."""
