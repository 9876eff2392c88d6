"""``upheld completion``: the script that lets a shell complete commands, options, contracts and requirements."""

from __future__ import annotations

import click

from upheld.cli.group import COMPLETION

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete what is typed after `upheld`.

    \b
    bash   eval "$(upheld completion bash)"      in ~/.bashrc
    zsh    eval "$(upheld completion zsh)"       in ~/.zshrc, after compinit
    fish   upheld completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    # Not `source()`: for bash that starts one to ask for its version.
    script = kind(click.Command("upheld"), {}, "upheld", COMPLETION)
    click.echo(script.source_template % script.source_vars())
