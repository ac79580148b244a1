"""Losses that torch lacks; its own are named in ``conf/loss/`` directly."""
