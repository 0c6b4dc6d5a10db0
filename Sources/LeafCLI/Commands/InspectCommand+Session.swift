import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter inspect FILE.session`
extension InspectCommand {
    /// Whether the file begins as a session does. What cannot be opened is left to whoever reads a model.
    var isSession: Bool {
        guard !FilePath.isDirectory(model), let file = try? InputFile(path: model) else { return false }
        return SessionReader.isSession(file)
    }

    func showSession(_ terminal: Terminal) throws(LeafError) {
        guard !showsTensors else { throw LeafError(.usage, "\(model) is a session, which has no tensors") }
        let (contents, progress) = try Session(path: model).inspect()
        terminal.output.write(
            common.isJSON ? sessionJSON(contents, progress).line + "\n" : sessionText(contents, progress))
    }

    private func sessionText(_ contents: Session.Contents, _ progress: Session.Progress) -> String {
        var rows = [
            ("file", "\(model), a session"), ("prompt", Quantity.count(contents.promptIDs.count, "token")),
            ("seed", "\(contents.seed)"),
        ]
        switch progress {
        case .notBegun: rows.append(("text", "not begun"))
        case .texts(let texts):
            for text in texts {
                rows.append(
                    (
                        "text",
                        Quantity.count(text.tokens, "token")
                            + (text.hasEnded ? ", ended by itself" : "; a larger --max-tokens continues it")
                    ))
            }
        case .beams(let hasEnded):
            rows.append(("text", "\(Quantity.count(contents.tokens, "token")) of beams" + (hasEnded ? ", ended" : "")))
        }
        rows += contents.options.map { ($0.name, $0.value.isEmpty ? "none" : $0.value) }
        return Quantity.table(rows)
    }

    private func sessionJSON(_ contents: Session.Contents, _ progress: Session.Progress) -> JSON {
        let texts: JSON =
            switch progress {
            case .notBegun: []
            case .texts(let texts):
                .array(texts.map { ["tokens": .integer($0.tokens), "has_ended": .bool($0.hasEnded)] })
            case .beams(let hasEnded): [["tokens": .integer(contents.tokens), "has_ended": .bool(hasEnded)]]
            }
        return [
            "session": .string(model), "prompt_ids": .ids(contents.promptIDs), "seed": .unsigned(contents.seed),
            "tokens": .integer(contents.tokens), "texts": texts,
            "options": .object(contents.options.map { ($0.name.replacing("-", with: "_"), .string($0.value)) }),
        ]
    }
}
