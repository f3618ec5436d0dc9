"""The commands of `repro`, put together."""

import typer

from repro.cli import (
    annotate_command,
    badge_command,
    calibrate_command,
    cite_command,
    collect_command,
    config_command,
    demo_command,
    evidence_command,
    gc_command,
    import_command,
    judge_command,
    keygen_command,
    lint_citations_command,
    list_command,
    new_command,
    pages_command,
    plan_command,
    publish_command,
    rerun_command,
    run_command,
    scout_command,
    serve_command,
    show_command,
    sign_command,
    source_command,
    status_command,
    verify_command,
    watch_command,
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
      repro list                                  every claim there is, and what it came to
      repro show chinchilla/tokens_14x_gpt3       one claim: target, protocols, last verdicts
      repro run chinchilla/tokens_14x_gpt3        judge it
      repro run 'chinchilla/*'                    judge all claims of a paper (mind the quotes)
      repro calibrate chinchilla/tokens_14x_gpt3  would it notice, were the claim false?
      repro cite chinchilla/tokens_14x_gpt3       BibTeX of the paper and of its verified result
      repro evidence ATTEMPT                      one file that a stranger can check ...
      repro verify evidence.zip                   ... without GPU, store or network
      repro demo                                  a tour that ends with a table of verdicts
      repro serve                                 the pages, beside MLflow's own

    Exit codes: 0 done, whatever the verdict; 1 with --strict unless all match; 2 bad input; 3 a trial failed.""",
)

# launch
app.command("new")(new_command.new)
app.command("scout")(scout_command.scout)
app.command("plan")(plan_command.plan)
app.command("run")(run_command.run)
app.command("collect")(collect_command.collect)
app.command("judge")(judge_command.judge)
app.command("rerun")(rerun_command.rerun)
app.command("status")(status_command.status)
app.command("watch")(watch_command.watch)
app.command("calibrate")(calibrate_command.calibrate)
app.command("config")(config_command.config)
app.command("gc")(gc_command.gc)
app.command("demo")(demo_command.demo)
# review
app.command("list")(list_command.list_claims)
app.command("show")(show_command.show)
app.command("pages")(pages_command.pages)
app.command("serve")(serve_command.serve)
# cite
app.command("cite")(cite_command.cite)
app.command("evidence")(evidence_command.evidence)
app.command("verify")(verify_command.verify)
app.command("publish")(publish_command.publish)
app.command("sign")(sign_command.sign)
app.command("keygen")(keygen_command.keygen)
app.command("badge")(badge_command.badge)
app.command("lint-citations")(lint_citations_command.lint_citations)
# correct and exchange
app.command("annotate")(annotate_command.annotate)
app.command("source")(source_command.source)
app.command("import")(import_command.import_bundle)
