import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// The output formats of a benchmark.
enum BenchFormat: String, CaseIterable, ArgumentValue {
    case md, csv, json, jsonl, svg
}

/// Formats the result of a benchmark.
struct BenchReport {
    let runs: [BenchRun]

    func text(_ format: BenchFormat) -> String {
        switch format {
        case .md: markdown
        case .csv: csv
        case .json: json.line + "\n"
        case .jsonl: runs.map { $0.json.line + "\n" }.joined()
        case .svg: BenchChart(runs).svg
        }
    }

    private var json: JSON {
        [
            "machine": runs.lazy.compactMap(\.machine).first?.json ?? .null,
            "runs": .array(
                runs.map { run in
                    var run = run
                    run.machine = nil
                    return run.json
                }),
        ]
    }

    private var markdown: String {
        var lines: [String] = []
        if let machine = runs.lazy.compactMap(\.machine).first {
            lines += [
                "\(machine.date), \(machine.processor), \(Quantity.count(machine.threads, "thread")), "
                    + "\(machine.instructionSet), \(ByteCount(bytes: machine.memoryBytes))", "",
            ]
        }
        let hasNames = Set(runs.map(\.name)).count > 1
        let hasDrafts = runs.contains { $0.tokensPerSweep != nil }
        let columns =
            (hasNames ? ["program"] : []) + [
                "memory", "peak", hasDrafts ? "read a sweep" : "read a token", "prompt", "a token", "tokens a second",
                "predicted", "limit", "of the limit",
            ] + (hasDrafts ? ["tokens a sweep", "drafts"] : [])
        lines.append(Self.row(columns))
        lines.append(Self.row(columns.map { _ in "---" }))
        for run in runs {
            let drafts = hasDrafts ? [run.tokensPerSweep.map { $0.fixed(2) } ?? "", run.draftsCell] : []
            lines.append(Self.row((hasNames ? [run.name ?? "leafcutter"] : []) + cells(run) + drafts))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }

    private func cells(_ run: BenchRun) -> [String] {
        let seconds = run.secondsPerToken
        var prompt = ""
        if let prefill = run.prefillSeconds, !prefill.isEmpty {
            prompt = Self.spread(Sample(prefill))
            if let rows = run.promptRows { prompt += " for \(rows.of("row"))" }
            if let first = run.firstPrefillSeconds { prompt += ", the first \(first.asDuration)" }
        }
        let predicted = run.predictedSecondsPerToken.map {
            "\($0.asDuration) (\(Self.signed(100 * ($0 / seconds.mean - 1))) %)"
        }
        let limit = run.limit.map { limit in
            limit.isDisk
                ? "disk, \((run.diskBytesPerSecond ?? 0).asByteRate)"
                : "memory, \((run.ramBytesPerSecond ?? 0).asByteRate)"
        }
        return [
            "\(ByteCount(bytes: run.budget))", run.peak.map { "\(ByteCount(bytes: $0))" } ?? "",
            run.streamedBytesPerSweep.map(\.diskText) ?? "", prompt, Self.spread(seconds),
            run.tokensPerSecond.significant, predicted ?? "", limit ?? "",
            run.limitShare.map { "\((100 * $0).fixed(0)) %" } ?? "",
        ]
    }

    private static func spread(_ sample: Sample) -> String {
        sample.deviation > 0 ? "\(sample.mean.asDuration) ± \(sample.deviation.asDuration)" : sample.mean.asDuration
    }

    private static func signed(_ percent: Double) -> String { (percent > 0 ? "+" : "") + percent.fixed(0) }

    private var csv: String {
        let header =
            "name,budget,peak,batch,prompt_rows,first_prefill_seconds,prefill_seconds,prefill_deviation,seconds_per_token,"
            + "deviation,tokens_per_second,streamed_bytes_per_sweep,disk_bytes_per_second,ram_bytes_per_second,"
            + "predicted_seconds_per_token,limit_share,tokens_per_sweep"
        func text(_ value: (some CustomStringConvertible)?) -> String { value.map { "\($0)" } ?? "" }
        let lines = runs.map { run in
            let prefill = run.prefillSeconds.map { Sample($0) }
            let name = (run.name ?? "").split(separator: "\"", omittingEmptySubsequences: false).joined(
                separator: "\"\"")
            let cells: [String] = [
                "\"\(name)\"", "\(run.budget)", text(run.peak), "\(run.batch ?? 1)", text(run.promptRows),
                text(run.firstPrefillSeconds), text(prefill?.mean), text(prefill?.deviation),
                "\(run.secondsPerToken.mean)", "\(run.secondsPerToken.deviation)", "\(run.tokensPerSecond)",
                text(run.streamedBytesPerSweep), text(run.diskBytesPerSecond), text(run.ramBytesPerSecond),
                text(run.predictedSecondsPerToken), text(run.limitShare), text(run.tokensPerSweep),
            ]
            return cells.joined(separator: ",")
        }
        return ([header] + lines).joined(separator: "\n") + "\n"
    }
}

extension BenchRun {
    /// What drafted and how often it was right, in a cell of a table.
    fileprivate var draftsCell: String {
        guard let speculation else { return "" }
        let mode = String(speculation.map { $0 == "|" || $0 < " " ? "?" : $0 })
        guard let drafted, let accepted, drafted > 0 else { return mode }
        return "\(mode), \(accepted) of \(drafted) right"
    }
}

extension Double {
    /// The number with three significant digits: `0.107`, `3.42`, `16.8`, `420`.
    var significant: String {
        switch magnitude {
        case ..<1: fixed(3)
        case ..<10: fixed(2)
        case ..<100: fixed(1)
        default: fixed(0)
        }
    }
}
