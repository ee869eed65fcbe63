"""How Jupyter finds the extension."""

import json
from importlib import import_module
from pathlib import Path

from wslive.extension import WSLive, _jupyter_server_extension_points

CONFIG = Path(__file__).parents[2] / "wslive" / "extension" / "jupyter_server_config.json"


def test_the_file_that_is_installed_switches_on_the_module_that_is_there() -> None:
    switched_on = json.loads(CONFIG.read_text())["ServerApp"]["jpserver_extensions"]
    assert switched_on == {"wslive.extension": True}
    (point,) = import_module("wslive.extension")._jupyter_server_extension_points()
    assert point == {"module": "wslive.extension", "app": WSLive}
    assert _jupyter_server_extension_points() == [point]
