from tests.forms import rewrite

rewrite()
