"""The browser that the tests use comes from a package and really renders."""

from playwright.sync_api import Browser


def test_the_browser_renders_and_runs_scripts(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<h1>waiting</h1><script>document.querySelector('h1').textContent = 6 * 7</script>")
    assert page.inner_text("h1") == "42"
    assert len(page.screenshot()) > 1000
    page.close()
