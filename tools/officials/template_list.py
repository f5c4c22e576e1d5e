"""The official templates: which of them run here, with which input, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tools.officials.template_site import PAGES

REPOSITORY = "actor-templates"
COMMIT = "2b5143270759dd44b0a75864da05855ad037cf6f"
# The start page, the page of the link "Get started", and the numbered ones.
SITE = 2 + PAGES
_START = "http://apify.com/"


@dataclass(frozen=True)
class Template:
    """
    A template that runs.

    Attributes:
        items: how many its run gives.
        needs: a program of the machine.
    """

    name: str
    items: int
    input: dict[str, Any] = field(default_factory=dict)
    needs: str = ""


_URLS = {"start_urls": [{"url": _START}]}
_JS_URLS = {"startUrls": [{"url": _START}]}
# These follow only links to https://apify.com, and give no item for the start page.
_SECURE = {"startUrls": [{"url": "https://apify.com/"}]}

_NO_PROXY = {"proxyConfiguration": {"useApifyProxy": False}}

TEMPLATES = (
    Template("python-empty", 0),
    Template("python-start", 2, {"url": _START}),
    # Its code marks the last link as handled instead of the page that it has read.
    Template("python-beautifulsoup", SITE - 1, _URLS),
    Template("python-crawlee-beautifulsoup", SITE, _URLS),
    Template("python-crawlee-parsel", SITE, _URLS),
    # Without proxy: Scrapy 2.19 with Twisted 26.10 takes the password in its URL for a host.
    Template("python-scrapy", SITE, {**_JS_URLS, "allowedDomains": ["apify.com"], **_NO_PROXY}),
    Template("python-playwright", SITE, _URLS, needs="chromium"),
    Template("python-crawlee-playwright", SITE, _URLS, needs="chromium"),
    Template("python-selenium", SITE, _URLS, needs="chromedriver"),
    Template("cli-start", 1, {"name": "Dolly"}, needs="jq"),
    Template("js-empty", 0),
    Template("js-start", 2, {"url": _START}),
    Template("js-crawlee-cheerio", SITE, _JS_URLS),
    Template("js-bootstrap-cheerio-crawler", 1),
    Template("js-crawlee-playwright-chrome", SITE - 1, _SECURE, needs="chromium"),
    Template("js-crawlee-puppeteer-chrome", SITE - 1, _SECURE, needs="chromium"),
    Template("ts-empty", 0),
    Template("ts-start", 2, {"url": _START}),
    Template("ts-start-bun", 2, {"url": _START}, needs="bun"),
    Template("ts-crawlee-cheerio", SITE, _JS_URLS),
    Template("ts-bootstrap-cheerio-crawler", 1),
    Template("ts-crawlee-playwright-chrome", SITE - 1, _SECURE, needs="chromium"),
    Template("ts-crawlee-puppeteer-chrome", SITE - 1, _SECURE, needs="chromium"),
    Template("ts-playwright-test-runner", 3, needs="chromium"),
)

_KEY = "asks a language model: needs a key and the network"
_CAMOUFOX = "its build downloads the browser Camoufox from GitHub"
CANNOT_RUN = {
    "js-cypress": "its build downloads the program Cypress from download.cypress.io",
    "js-crawlee-playwright-camoufox": _CAMOUFOX,
    "ts-crawlee-playwright-camoufox": _CAMOUFOX,
    "python-crawlee-playwright-camoufox": "it downloads the browser Camoufox from GitHub",
    "js-langchain": _KEY,
    "js-langgraph-agent": _KEY,
    "python-crewai": _KEY,
    "python-langgraph": _KEY,
    "python-llamaindex-agent": _KEY,
    "python-pydanticai": _KEY,
    "python-smolagents": _KEY,
    "ts-beeai-agent": _KEY,
    "ts-mastraai": _KEY,
}
