from __future__ import annotations

from tools.uv_with_pip_settings import uv_variables


def test_uv_uses_the_indexes_and_certificates_of_pip() -> None:
    """An index that pip knows need not be configured for uv."""
    lines = [
        "global.cert='/etc/ssl/company.pem'",
        "global.extra-index-url='https://a.test/simple https://b.test/simple'",
        "global.find-links='/srv/wheels /srv/more'",
        "global.index-url='https://index.test/simple'",
        "global.timeout='60'",
    ]
    assert uv_variables(lines, {}) == {
        "SSL_CERT_FILE": "/etc/ssl/company.pem",
        "UV_DEFAULT_INDEX": "https://index.test/simple",
        "UV_FIND_LINKS": "/srv/wheels,/srv/more",
        "UV_HTTP_TIMEOUT": "60",
        "UV_INDEX": "https://a.test/simple https://b.test/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_uv_prefers_variables_to_files_as_pip_does() -> None:
    """A variable of pip wins over its files, in any order in which pip lists them."""
    lines = [
        ":env:.index-url='https://variable.test/simple'",
        "global.index-url='https://file.test/simple'",
        "install.index-url='https://install.test/simple'",
        "list.index-url='https://other.test/simple'",
    ]
    assert uv_variables(lines, {}) == {"UV_DEFAULT_INDEX": "https://variable.test/simple"}


def test_uv_keeps_its_own_settings() -> None:
    """A variable of uv is not replaced, also under its older name."""
    lines = ["global.index-url='https://pip.test/simple'", "global.find-links='/srv/wheels'"]
    environment = {"UV_INDEX_URL": "https://uv.test/simple", "UV_FIND_LINKS": "/srv/own"}
    assert uv_variables(lines, environment) == {}


def test_uv_keeps_its_defaults_without_a_configuration_of_pip() -> None:
    """Without a configuration of pip, uv keeps its defaults."""
    assert uv_variables(["global.find-links=''"], {}) == {}
