"""An app beside the example's own: what is watched from outside, edited over HTTP."""
