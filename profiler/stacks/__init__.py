"""Where the host's time goes: every process of a trial under `py-spy record`, arm beside baseline."""
