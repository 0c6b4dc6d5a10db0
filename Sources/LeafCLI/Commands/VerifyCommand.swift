import CPMAntShape
import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter verify MODEL`
struct VerifyCommand: Command {
    var model = ""
    var common = CommonOptions()

    static let syntax = CommandSyntax<VerifyCommand>(
        name: "verify", summary: "Read a whole model file and check every byte.",
        discussion: "Names the first bad block and its tensors; exit code 1 if there is one.",
        arguments: [.required("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: CommonOptions.all.map { $0.lifted(\.common) }, examples: ["verify ant.leaf"])

    func run(_ terminal: Terminal) throws(LeafError) {
        let file = try CPMAntFile.open(path: model).leaf
        let interrupt = terminal.interrupt
        let start = ContinuousClock.now
        try file.verify(
            isCancelled: { interrupt.isRequested },
            progress: { terminal.progress.show(Progress("verifying", bytes: $0.bytesDone, of: $0.bytesTotal)) })
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        terminal.progress.clear()
        guard common.isJSON else {
            return terminal.output.write(
                "\(model.printable) is whole: \(file.fileBytes.diskText) in \(Quantity.count(file.blocks.count, "block"))\n"
            )
        }
        terminal.output.write(
            JSON.object([
                ("ok", .bool(true)), ("bytes", .integer(file.fileBytes)), ("blocks", .integer(file.blocks.count)),
                ("seconds", .number(seconds)),
            ]).line + "\n")
    }
}
