"""What happens to a request before any view sees it."""


def forgive_double_slash(get_response):
    """Old clients join "http://host/" and "/index.json": take `//index.json` for `/index.json`."""

    def middleware(request):
        if request.path_info.startswith("//"):
            request.path_info = "/" + request.path_info.lstrip("/")
            request.path = request.path_info
        return get_response(request)

    return middleware
