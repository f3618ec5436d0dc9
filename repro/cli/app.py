"""The commands of `repro`, put together."""

import typer

from repro.cli import (
    calibrate_command,
    collect_command,
    config_command,
    demo_command,
    judge_command,
    list_command,
    new_command,
    pages_command,
    plan_command,
    run_command,
    serve_command,
    show_command,
    status_command,
)

app = typer.Typer(
    name="repro",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Launch, review and cite reproductions of published machine-learning claims.

    A claim is one published number. `repro run` seals how it will be decided, runs the trials, judges them and records
    the verdict in MLflow.

    \b
    Try:
      repro list                                  every claim there is
      repro show chinchilla/tokens_14x_gpt3       one claim: target, protocols, last verdicts
      repro run chinchilla/tokens_14x_gpt3        judge it
      repro run 'chinchilla/*'                    judge all claims of a paper (mind the quotes)
      repro calibrate chinchilla/tokens_14x_gpt3  would it notice, were the claim false?
      repro demo                                  a tour that ends with a table of verdicts
      repro serve                                 the pages, beside MLflow's own

    Exit codes: 0 done, whatever the verdict; 1 with --strict unless all match; 2 bad input; 3 a trial failed.""",
)

app.command("list")(list_command.list_claims)
app.command("show")(show_command.show)
app.command("plan")(plan_command.plan)
app.command("run")(run_command.run)
app.command("calibrate")(calibrate_command.calibrate)
app.command("status")(status_command.status)
app.command("judge")(judge_command.judge)
app.command("collect")(collect_command.collect)
app.command("config")(config_command.config)
app.command("pages")(pages_command.pages)
app.command("serve")(serve_command.serve)
app.command("demo")(demo_command.demo)
app.command("new")(new_command.new)
