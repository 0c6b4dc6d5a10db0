import CProgram
import CSystem
import Glibc
import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// The command line: finds the command, runs it, and turns its result into an exit code.
@main
package enum Program {
    static let commands: [any Command.Type] = [
        ConvertCommand.self, MergeCommand.self, GenerateCommand.self, FillCommand.self, BatchCommand.self,
        PlanCommand.self,
        DoctorCommand.self, InspectCommand.self, VerifyCommand.self, TokenizeCommand.self, ScoreCommand.self,
        PerplexityCommand.self, EmbedCommand.self, EvaluateCommand.self, LogitsCommand.self, BenchCommand.self,
        ServeCommand.self, RequantizeCommand.self, ExportCommand.self, SynthesizeCommand.self, CompletionsCommand.self,
    ]

    private static let introduction = """
        Leafcutter runs CPM-Ant, a Chinese language model of 10 billion parameters, inside a memory budget of your \
        choice: what does not fit is streamed from the disk.
        """
    private static let closing = """
        leafcutter COMMAND --help explains a command. The usual beginning:

          leafcutter convert cpm-ant-10b/ ant.leaf
          leafcutter plan ant.leaf --memory 2GiB
          leafcutter generate ant.leaf '今天天气真好，' --memory 2GiB
        """

    /// What all of them look like.
    package static var outlines: [CommandOutline] { commands.map { $0.outline } }

    package static func main() {
        guard hasRoomForWords else {
            let sentence: StaticString =
                "leafcutter: ulimit -v or -d leaves too little memory for the program; raise it\n"
            _ = write(STDERR_FILENO, sentence.utf8Start, sentence.utf8CodeUnitCount)
            _exit(3)
        }
        StandardDescriptors.occupy()
        Interrupt.unblock()
        // If a reader goes away, that is an error of `write` and must not end the process.
        signal(SIGPIPE, SIG_IGN)
        // The same for a limit on the size of files (ulimit -f).
        signal(SIGXFSZ, SIG_IGN)
        WorkingSetSignals.hold()
        InstructionSet.permitTiles()
        // A second arena helps where threads allocate at once, but reserves addresses, which a limit counts.
        leaf_limit_malloc(AddressLimit.room() == nil ? 2 : 1)
        OwnStack.run { answer() }
    }

    /// Whether there is memory for a stack and for the words of a command and of an error. Swift ends a program to
    /// which malloc gives nothing, so this comes before it allocates.
    private static var hasRoomForWords: Bool {
        let bytes = 2 << 20
        let room = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let room, room != MAP_FAILED else { return false }
        munmap(room, bytes)
        return true
    }

    /// Bytes of the heap that no plan counts: what a command needs before it knows what it will need.
    private static let heapBytes = 12 << 20

    private static func answer() {
        var name: String?
        do throws(LeafError) {
            let words = try arguments()
            name = words.first
            try run(words)
        } catch {
            StandardError.write(line: prefix(name) + ": \(error.advised)")
            exit(error.exitCode)
        }
    }

    /// - Parameter words: the command and what follows it.
    package static func run(_ words: [String]) throws(LeafError) {
        guard let first = words.first else {
            StandardError.write(help)
            throw LeafError(.usage, "a command is missing")
        }
        switch first {
        case "--help", "-h", "help": try Output.print(help)
        case "--version": try Output.print("leafcutter \(leafcutterVersion)\n")
        default:
            guard let command = commands.first(where: { $0.name == first }) else { throw unknown(first) }
            try AddressLimit.check(heapBytes, for: "the program")
            try command.run(Array(words.dropFirst()))
        }
    }

    private static var help: String {
        CommandOutline.overview(outlines, introduction: introduction, closing: closing)
    }

    /// The command's name for a message, if there is a command.
    private static func prefix(_ name: String?) -> String {
        guard let name, commands.contains(where: { $0.name == name }) else { return "leafcutter" }
        return "leafcutter \(name)"
    }

    /// What other programs call generating.
    private static let othersGenerate: Set = ["run", "chat", "complete", "completion", "predict", "infer"]

    private static func unknown(_ name: String) -> LeafError {
        guard !name.hasPrefix("-") else {
            return LeafError(.usage, "there is no option \(name) before a command; see leafcutter --help")
        }
        guard !othersGenerate.contains(name) else {
            return LeafError(
                .usage,
                "there is no command \(name); \(GenerateCommand.name) continues a text: "
                    + "leafcutter \(GenerateCommand.name) MODEL PROMPT"
                    + (name == "chat" ? "; \(ServeCommand.name) shows a page to write with, and answers chats" : ""))
        }
        let nearest = NearestName.of(name, among: commands.map { $0.name })
        return LeafError(
            .usage,
            "there is no command \(name)" + (nearest.map { "; did you mean \($0)?" } ?? "; see leafcutter --help"))
    }
}

extension Program {
    /// The words after the program's name.
    ///
    /// - Throws: `.usage` for one that is not UTF-8, which a repair would make another word.
    static func arguments() throws(LeafError) -> [String] {
        var words: [String] = []
        for index in 1..<max(1, leaf_argument_count()) {
            guard let bytes = leaf_argument(index) else { break }
            guard let word = String(validatingCString: bytes) else {
                throw LeafError(.usage, "argument \(index) is not valid UTF-8; set the terminal to UTF-8")
            }
            words.append(word)
        }
        return words
    }
}
