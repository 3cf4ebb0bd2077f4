"""``ingot new-backend`` and ``ingot new-kernels``: packages that install and are green at once, from the templates here.

`templates/backend` with `templates/host` or `templates/native` makes a backend, `templates/kernels` a package of kernels.
They are real packages called acme: a new one is a copy with another name.
"""
