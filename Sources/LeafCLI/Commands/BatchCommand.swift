import LeafArguments
import LeafBatch
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter batch MODEL IN.jsonl OUT.jsonl`
struct BatchCommand: Command {
    var model = ""
    var input = ""
    var output = ""
    var resumes = false
    var skipsBad = false
    var errors: String?
    var seed: UInt64?
    var batch = BatchSize(8)
    var tuning = TuningOptions()
    var engine = EngineOptions(speculate: "auto")
    var common = CommonOptions()

    static let syntax = CommandSyntax<BatchCommand>(
        name: "batch", summary: "Answer a file of requests, in as many runs as it takes.",
        discussion: """
            Each line of IN.jsonl is one request of any kind: our own, \
            {"id","kind":"generate"|"fill"|"score"|"embed",..} with the fields of these commands, or a line of \
            OpenAI's batches, {"custom_id","method":"POST","url":"/v1/completions","body":{..}}; \
            /v1/chat/completions and /v1/embeddings are there too. All of them share readings of the model, and \
            memory does not grow with the file.

            The whole file is checked before anything runs. Each answer is added to OUT.jsonl, and is on the disk, \
            as soon as it is there; answers come in the order in which they finish. OUT.jsonl.job notes which lines \
            are answered. A request that fails is answered by its reason and ends nothing.

            If the work was stopped or killed, the same command with --resume answers what is missing. The answers \
            are those of a run without the stop, byte for byte. A request without a seed gets one that the job's \
            seed and its id decide.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .file),
            .required("IN.jsonl", "The requests, one JSON object a line; a regular file.", \.input, suggest: .file),
            .required("OUT.jsonl", "The answers.", \.output, suggest: .file),
        ],
        options: [
            .flag("resume", "Go on with what an earlier run began; begin where there is nothing.", \.resumes),
            .flag("skip-bad", "Answer a line that makes no sense with an error and go on.", \.skipsBad),
            .value(
                "errors", "FILE", "Write the answers of requests that failed here as well.", \.errors, suggest: .file),
            .value("seed", "N", "The job's seed (default: random, kept in OUT.jsonl.job).", \.seed),
            .value("batch", "B", "Texts at the same time at most (default 8); fewer if memory is short.", \.batch),
        ] + (TuningOptions.all + [TuningOptions.corpus]).map { $0.lifted(\.tuning) }
            + (EngineOptions.generating + [EngineOptions.shareOption]).map { $0.lifted(\.engine) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "batch ant.leaf requests.jsonl answers.jsonl --memory 2GiB --batch 64",
            "batch ant.leaf requests.jsonl answers.jsonl --memory 2GiB --batch 64 --resume",
            "batch ant.leaf openai.jsonl answers.jsonl --skip-bad --errors failed.jsonl",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        let began = ContinuousClock.now
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model, memory: engine.memory)
        var options = BatchJob.Options()
        (options.resumes, options.skipsBad, options.errors) = (resumes, skipsBad, errors)
        (options.seed, options.sequences) = (seed, batch.count)
        try engine.checkResults(areApartFrom: BatchJob.results(output, errors: errors))
        let job = try BatchJob(
            input: input, output: output, file, origin: Model.origin(of: file, engine.modelOptions(Demand(context: 1))),
            options, reading: engine.inputs(of: file))
        let survey = try job.check(terminal.interrupt.cancellation) {
            terminal.progress.show(Progress("checking", $0, "request"))
        }
        let run = try SharedRun(
            survey.demands.demands, count: survey.count, bytes: survey.bytes, bytesEach: survey.bytesEach,
            sequences: batch.count, engine, file, reading: [input], since: began, terminal)
        let outcome: BatchJob.Progress
        do throws(LeafError) {
            outcome = try job.run(on: run.model, ahead: run.ahead, run.cancellation) { progress in
                terminal.progress.show(Self.shown(progress))
            }
        } catch {
            guard job.isBegun else { throw error }
            let kept = job.hasAnswers ? "what is answered stays in \(output), and " : ""
            throw LeafError(error.kind, "\(error); \(kept)--resume goes on", advice: error.advice)
        }
        terminal.progress.clear()
        if outcome.before == outcome.count {
            terminal.note("all \(Quantity.count(outcome.count, "answer")) were there already")
        } else {
            run.tell(tokens: outcome.tokens, requests: outcome.done - outcome.before, drafts: outcome.drafts)
        }
        try run.finishTrace()
        run.keepAcceptance()
        if common.isJSON { terminal.print(json(outcome, run)) }
        let counts = "\(outcome.done) of \(Quantity.count(outcome.count, "request"))"
        guard outcome.done == outcome.count else {
            throw LeafError(.cancelled, "interrupted after \(counts); --resume goes on")
        }
        guard outcome.failed > 0 else { return }
        throw LeafError(
            .badInput, "\(outcome.failed) of \(Quantity.count(outcome.count, "request")) failed; their answers say why")
    }

    private static func shown(_ job: BatchJob.Progress) -> Progress {
        var progress = Progress("answering", job.done, of: job.count, "request", skipped: job.before)
        progress.failed = job.failed
        progress.rows = job.sweepRows
        progress.sweep = .step
        return progress
    }

    private func json(_ outcome: BatchJob.Progress, _ run: SharedRun) -> JSON {
        [
            "output": .string(output), "requests": .integer(outcome.count), "done": .integer(outcome.done),
            "failed": .integer(outcome.failed), "done_before": .integer(outcome.before),
            "tokens": .integer(outcome.tokens), "rows": .integer(outcome.rows), "seconds": .number(run.seconds),
            "peak_bytes": .integer(ProcessMemory.peakBytes), "speculation": outcome.drafts.json(run.model),
        ]
    }
}
