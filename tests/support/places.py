"""Where the checkout lies, and beside it what only some machines have; tests that need that skip with a reason."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
SHARED = ROOT.parent / "shared"
COCO_MINI = SHARED / "data" / "coco_mini"
