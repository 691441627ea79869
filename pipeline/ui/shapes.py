"""The sign of each state: a shape of its own, so that colour is never all that tells them apart. 16 by 16 pixels, SVG."""

from __future__ import annotations

from collections.abc import Mapping

_CIRCLE = '<circle cx="8" cy="8" r="7" fill="currentColor"/>'
_RING = '<circle cx="8" cy="8" r="6.1" fill="none" stroke="currentColor" stroke-width="1.8"/>'
_STROKE = 'fill="none" stroke="{}" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"'
_INSIDE = _STROKE.format("var(--on-state)")
_OUTSIDE = _STROKE.format("currentColor")
_OCTAGON = '<path d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" fill="currentColor"/>'
_TRIANGLE = '<path d="M8 .9 15.6 14.6H.4z" fill="currentColor"/>'

SHAPES: Mapping[str, str] = {
    "done": f'{_CIRCLE}<path d="m4.8 8.3 2.2 2.2 4.2-4.7" {_INSIDE}/>',
    "cached": f'{_RING}<path d="M5.2 6.4h5.6M5.2 9.6h5.6" {_OUTSIDE}/>',
    "selected": '<path d="M8 .8 15.2 8 8 15.2.8 8z" fill="currentColor"/><circle cx="8" cy="8" r="2.2" fill="var(--on-state)"/>',
    "running": f'{_RING}<path d="M6.4 5.2v5.6L11 8z" fill="currentColor"/>',
    "failed": f'{_OCTAGON}<path d="m5.5 5.5 5 5m0-5-5 5" {_INSIDE}/>',
    "blocked": f'{_TRIANGLE}<path d="M8 6v3.6m0 2.3v.1" {_INSIDE}/>',
    "skipped": f'{_RING}<path d="m5 5.2 2.8 2.8L5 10.8m4-5.6 2.8 2.8L9 10.8" {_STROKE.format("currentColor").replace("1.9", "1.5")}/>',
    "canceled": f'{_RING}<path d="m3.8 12.2 8.4-8.4" {_OUTSIDE}/>',
    "interrupted": f'{_CIRCLE}<path d="M6.2 5.4v5.2m3.6-5.2v5.2" {_INSIDE}/>',
    "not run": '<circle cx="8" cy="8" r="6.1" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.2 2.6"/>',
    "waits": '<circle cx="8" cy="8" r="6.1" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.2 2.6"/>',
}
