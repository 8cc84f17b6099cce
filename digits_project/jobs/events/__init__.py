"""Events of jobs (status, progress, metrics): processes that change jobs publish them, the web processes read them."""
