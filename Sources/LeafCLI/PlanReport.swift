import LeafSystem
import LeafWire
import Leafcutter

/// The result of `leafcutter plan`, for people.
struct PlanReport {
    let answer: PlanAnswer
    /// Whether a model was to draft, of whose guesses is counted how many are right.
    let hasDraftModel: Bool

    var text: String {
        let (plan, prediction, rates) = (answer.plan, answer.prediction, answer.rates)
        let waits =
            switch prediction.bound {
            case .disk: "waiting for the disk (\(rates.disk.allowedBytesPerSecond.asByteRate))"
            case .memory: "as fast as the memory is (\(rates.kernels.weightBytesPerSecond(rows: 1).asByteRate))"
            case .compute: "as fast as the processor computes"
            }
        var lines = [plan.table(smallest: answer.minimum), ""]
        if let target = answer.target {
            lines.append(
                "smallest memory for a token in \(target.asDuration): \(plan.budget.roundedUpText)")
        }
        lines += [
            "fits: a token takes about \(secondsPerToken.asDuration), \(waits)",
            "a prompt of \(answer.context.of("row")) takes about \(prediction.prefillSeconds.asDuration)",
            "longest context at this budget: \(answer.maxContext.of("token")), "
                + "\(ByteCount(bytes: answer.bytesPerToken)) each",
        ]
        lines += speculation
        if plan.streamedBytesPerSweep > 0, answer.secondsSavedByMore.isNoticeable {
            let more = ByteCount(bytes: min(PlanAnswer.moreBytes, answer.usefulBytes))
            lines.append("\(more) more memory saves \(answer.secondsSavedByMore.asDuration) a token")
        }
        if !answer.more.isEmpty {
            lines += ["", "a token with more memory:"]
            lines += answer.more.map {
                let drafted = $0.speculation.flatMap { $0.drafts > 0 ? $0.secondsPerToken : nil }
                return "\($0.plan.budget.roundedUpText): \(($0.off ?? $0.prediction).secondsPerToken.asDuration)"
                    + (drafted.map { " (\($0.asDuration) with drafts)" } ?? "")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// With drafts, where there are some.
    private var secondsPerToken: Double {
        guard let speculation = answer.speculation, speculation.drafts > 0 else {
            return answer.prediction.secondsPerToken
        }
        return speculation.secondsPerToken
    }

    /// What drafts, what they take of the memory, and what is gained.
    private var speculation: [String] {
        guard let drafts = answer.speculation, let off = answer.offSecondsPerToken else { return [] }
        if drafts.isOff {
            return ["speculation is \(drafts.mode)"] + (drafts.isUnprofitable ? [origin(of: drafts.acceptance)] : [])
        }
        let condition = "if its best guess is right \(drafts.acceptance.share) of the time"
        var lines = [
            drafts.drafts == 0
                ? "speculation (\(drafts.mode)) would not pay, \(condition)"
                : "\(drafts.drafts.of("draft")) a sweep of \(drafts.mode), \(condition): "
                    + "\(drafts.tokensPerSweep.fixed(1)) tokens a sweep; while none is right, a token takes "
                    + "\(answer.prediction.secondsPerToken.asDuration)",
            origin(of: drafts.acceptance),
        ]
        if drafts.lentBlocks > 0 {
            lines.append(
                "the copy computes \(drafts.lentBlocks) of \(answer.blockCount.of("block")) with the model's own "
                    + "weights, which stay in memory; its others take \(drafts.draftBytes.sizeText)")
        }
        let gain = off - drafts.secondsPerToken
        lines.append(
            "the same memory without drafts: \(off.asDuration) a token"
                + (gain.magnitude.isNoticeable
                    ? ", so that speculation \(gain > 0 ? "saves" : "costs") \(gain.magnitude.asDuration)" : ""))
        return lines
    }

    /// What the share of right guesses comes from, and how it is measured where nobody knows.
    private func origin(of acceptance: DraftAcceptance) -> String {
        switch acceptance {
        case .given: "\(acceptance.share) is what --acceptance says"
        case .kept(_, let guesses, let file):
            "\(acceptance.share) is what \(file) says, by \(guesses) guesses"
        case .assumed where !hasDraftModel:
            "\(acceptance.share) is a careful assumption; bench --text FILE --speculate ngram measures what texts get"
        case .assumed:
            "\(acceptance.share) is a careful assumption; generate, batch, serve and bench measure it with \(measuring)"
        case .begun(_, let guesses, let needed, let file):
            "\(acceptance.share) is a careful assumption: \(guesses) of the \(needed) guesses that it takes are "
                + "counted in \(file); generate, batch, serve and bench count more with \(measuring)"
        }
    }

    private var measuring: String {
        "--keep-acceptance" + (answer.speculation?.isOff == true ? " and, to draft all the same, --draft-tokens 8" : "")
    }
}

extension DraftAcceptance {
    /// For people.
    fileprivate var share: String { "\((100 * chance).fixed(0)) %" }
}
