import Foundation
import GoldenSupport
import LeafArguments
import LeafCLI
import Testing

/// All commands by all doors: what standard output and an output option lead to, what is closed, full, read-only or
/// limited, and the signals. Each ends soon with the right code and one sentence, replaces nothing that is no regular
/// file, and leaves nothing half written.
@Suite struct DoorTests {
    private let folder: TemporaryDirectory
    private let inputs: TemporaryDirectory
    private let models: [String: String]

    init() throws {
        folder = try TemporaryDirectory()
        inputs = try TemporaryDirectory()
        models = ["MODEL": try Models.shared.get().demo, "TINY": try Models.shared.get().tiny]
        try CommandRun.makeInputs(in: inputs)
    }

    private static let writers = CommandRun.every.filter { $0.output != nil }

    /// `serve` ends when it is told to, and has tests of its own.
    @Test func noCommandIsForgotten() {
        let named = Set(CommandRun.every.map(\.command)).union(["serve"])
        #expect(named == Set(Program.outlines.map(\.name)))
    }

    // MARK: Running

    /// Runs a script in the folder; in it `leafcutter` is the whole command, and what hangs is killed.
    private func shell(
        _ script: String, _ run: CommandRun, words: [String]? = nil, output: String? = nil, isQuiet: Bool = true
    ) throws -> Leafcutter.Run {
        let paths = models.merging(["OUTPUT": output ?? folder.path("out")]) { $1 }
        var words = run.words(words, paths, inputs: inputs)
        if isQuiet, run.command != "completions" { words.append("-q") }
        return try Leafcutter.shell(
            """
            program=$0; words=(\(words.map(Self.quoted).joined(separator: " ")))
            leafcutter() { timeout --foreground -s KILL 60 "$program" "${words[@]}"; }
            cd \(Self.quoted(folder.url.path)); \(script)
            """)
    }

    private static func quoted(_ word: String) -> String {
        "'" + word.replacingOccurrences(of: "'", with: #"'\''"#) + "'"
    }

    /// The names in the folder, which is empty again then. The record of answers goes with them.
    private func takeNames(_ run: CommandRun? = nil) throws -> [String] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        for name in names { try FileManager.default.removeItem(atPath: folder.path(name)) }
        guard run?.output == .answers else { return names }
        return names.filter { name in !(name.hasSuffix(".job") && names.contains(String(name.dropLast(4)))) }
    }

    private func kind(_ name: String) throws -> FileAttributeType? {
        try FileManager.default.attributesOfItem(atPath: folder.path(name))[.type] as? FileAttributeType
    }

    /// The lines on standard error that are no warnings, which come with success.
    private func complaints(_ outcome: Leafcutter.Run) -> [Substring] {
        outcome.error.split(separator: "\n").filter { !$0.hasPrefix("warning: ") }
    }

    /// One sentence of the command's own, and not a word more.
    private func expectSentence(
        _ run: CommandRun, _ outcome: Leafcutter.Run, _ statuses: Set<Int32>, _ part: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(statuses.contains(outcome.status), "\(run): \(outcome.error)", sourceLocation: sourceLocation)
        let lines = complaints(outcome)
        #expect(lines.count == 1, "\(run): \(outcome.error)", sourceLocation: sourceLocation)
        let sentence = lines.last ?? ""
        #expect(sentence.hasPrefix("leafcutter \(run.command): "), "\(sentence)", sourceLocation: sourceLocation)
        #expect(part.isEmpty || sentence.contains(part), "\(run): \(sentence)", sourceLocation: sourceLocation)
        // The name of a Swift error's case, or of its type.
        #expect(!sentence.contains("Error(") && !sentence.contains("LeafError"), sourceLocation: sourceLocation)
    }

    // MARK: Standard output

    @Test(arguments: CommandRun.every) func standardOutputMayLeadAnywhereOrNowhere(run: CommandRun) throws {
        var prints = true
        if !run.isSlow {
            let link = try shell("ln -s plain link; leafcutter > link 0<&- 2> error; s=$?; cat error >&2; exit $s", run)
            #expect(link.status == 0, "\(link.error)")
            #expect(try kind("link") == .typeSymbolicLink)
            prints = try !Data(contentsOf: URL(filePath: folder.path("plain"))).isEmpty
            // What says nothing says it with its file.
            #expect(prints || run.output != nil)
            let left = try takeNames()
            #expect(!left.contains { $0.contains(".part") || $0.contains(".journal") || $0.contains(".lock") })
        }

        let full = try shell("leafcutter > /dev/full", run)
        if prints {
            expectSentence(run, full, [1], "standard output: No space left on device")
        } else {
            #expect(full.status == 0 && complaints(full).isEmpty, "\(full.error)")
        }
        _ = try takeNames()

        let closed = try shell("leafcutter 0<&- >&- 2>&-", run)
        #expect(closed.status == (prints ? 1 : 0), "\(run)")
        _ = try takeNames()
        guard !run.isSlow else { return }

        let gone = try shell("leafcutter | true; exit ${PIPESTATUS[0]}", run)
        #expect(gone.status == 0 && complaints(gone).isEmpty, "\(gone.error)")
        _ = try takeNames()

        // Nobody can be told that nobody can be told.
        let deaf = try shell("leafcutter > /dev/null 2> /dev/full", run, isQuiet: false)
        #expect(deaf.status == 0, "\(run)")
        _ = try takeNames()

        let limited = try shell("(ulimit -f 0; leafcutter > plain) 2>&1 | cat >&2; exit ${PIPESTATUS[0]}", run)
        if prints || run.output != nil {
            #expect(limited.status == 1, "\(run): \(limited.error)")
            #expect(limited.error.contains("ulimit -f"), "\(run): \(limited.error)")
        }
        #expect(try takeNames() == ["plain"], "\(run)")
    }

    // MARK: An output option

    /// What is no regular file is written straight where that is possible, and refused elsewhere; it is never replaced.
    @Test(arguments: writers) func anOutputIsADeviceOrAPipe(run: CommandRun) throws {
        guard run.output == .result else {
            for device in ["/dev/null", "/dev/stdout", "-"] {
                expectSentence(run, try shell("leafcutter", run, output: device), [2])
            }
            #expect(try takeNames().isEmpty)
            expectSentence(run, try shell("mkfifo out; leafcutter", run), [2])
            #expect(try kind("out") != .typeRegular)
            #expect(try takeNames() == ["out"])
            return
        }
        let null = try shell("leafcutter > plain", run, output: "/dev/null")
        #expect(null.status == 0, "\(run): \(null.error)")
        let device = try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType
        #expect(device == .typeCharacterSpecial)
        try expectDash(run)
        let full = try shell("leafcutter > plain", run, output: "/dev/full")
        expectSentence(run, full, [1], "no space left on device")
        #expect(try takeNames() == ["plain"])

        let pipe = try shell(
            "mkfifo out; timeout 60 cat out > copy & leafcutter > plain || { kill $!; exit 9; }; wait", run)
        #expect(pipe.status == 0, "\(run): \(pipe.error)")
        #expect(try kind("out") != .typeRegular)
        #expect(try !Data(contentsOf: URL(filePath: folder.path("copy"))).isEmpty)
        #expect(try takeNames() == ["copy", "out", "plain"])

        let gone = try shell(
            "mkfifo out; timeout 60 head -c 1 out > copy & leafcutter > plain; s=$?; wait; exit $s", run)
        // A small result may lie in the pipe before its reader goes.
        if gone.status != 0 { expectSentence(run, gone, [1], "broken pipe") }
        #expect(try kind("out") != .typeRegular)
        #expect(try takeNames() == ["copy", "out", "plain"])
    }

    /// Standard output, and never a file of that name; a timeline would mix with what is there.
    private func expectDash(_ run: CommandRun) throws {
        _ = try takeNames()
        let dash = try shell("leafcutter > plain", run, output: "-")
        if run.arguments.contains("--trace") {
            expectSentence(run, dash, [2], "--trace -")
        } else {
            #expect(dash.status == 0, "\(run): \(dash.error)")
            #expect(try !Data(contentsOf: URL(filePath: folder.path("plain"))).isEmpty)
        }
        #expect(try takeNames() == ["plain"], "\(run)")
    }

    /// Where a file is wanted that is read in any order, standard input is refused by name.
    @Test func aModelIsNotStandardInput() throws {
        for words in [
            ["inspect", "-"], ["verify", "-"], ["generate", "-", "春"], ["generate", "MODEL", "春", "--mirror", "-"],
            ["generate", "MODEL", "春", "--delta", "-"], ["convert", "-", "OUTPUT"], ["batch", "MODEL", "-", "OUTPUT"],
            ["export", "-", "OUTPUT"], ["convert", "CHECKPOINT", "OUTPUT", "--config", "-"],
        ] {
            let run = CommandRun(name: words.joined(separator: " "), arguments: words)
            let refused = try shell("leafcutter < /dev/null", run)
            #expect([1, 2].contains(refused.status) && complaints(refused).count == 1, "\(run): \(refused.error)")
            #expect(refused.error.contains("standard input"), "\(run): \(refused.error)")
            #expect(try takeNames().isEmpty, "\(run)")
        }
    }

    /// Another process measures, which has a standard output of its own.
    @Test func aTimelineOfBenchIsNoDescriptor() throws {
        let bench = try #require(CommandRun.every.first { $0.name == "bench" })
        for name in ["/dev/stdout", "/dev/fd/3"] {
            let refused = try shell("leafcutter", bench, words: ["bench", "MODEL", "--trace", name])
            expectSentence(bench, refused, [2], name)
        }
    }

    @Test(arguments: writers) func anOutputIsALink(run: CommandRun) throws {
        let link = try shell(
            run.output == .folder ? "mkdir real; ln -s real out; leafcutter" : "ln -s real out; leafcutter", run)
        #expect(link.status == 0, "\(run): \(link.error)")
        #expect(try kind("out") == .typeSymbolicLink)
        #expect(try kind("real") == (run.output == .folder ? .typeDirectory : .typeRegular))
        #expect(try takeNames(run) == ["out", "real"])

        for made in ["ln -s out out", "ln -s nowhere/real out"] {
            expectSentence(run, try shell("\(made); leafcutter", run), [1, 2])
            #expect(try kind("out") == .typeSymbolicLink)
            #expect(try takeNames() == ["out"])
        }
    }

    /// Found before the work: nothing is printed, and nothing is made.
    @Test(arguments: writers) func anOutputThatCannotBeWrittenIsFoundBeforeTheWork(run: CommandRun) throws {
        for output in ["/nowhere/out", "/proc/self/fd/99"] {
            let refused = try shell("leafcutter > plain", run, output: output)
            expectSentence(run, refused, [1, 2])
            #expect(try Data(contentsOf: URL(filePath: folder.path("plain"))).isEmpty, "\(run) \(output)")
            #expect(try takeNames() == ["plain"])
        }
        if run.output != .folder {
            expectSentence(run, try shell("mkdir out; leafcutter > plain", run), [1, 2], "is a directory")
            #expect(try takeNames() == ["out", "plain"])
            // The name beside it is taken by something else.
            if run.output != .session {
                let taken = run.output == .answers ? "out.job" : "out.part"
                expectSentence(run, try shell("mkdir \(taken); leafcutter > plain", run), [1])
                #expect(try takeNames() == [taken, "plain"])
            }
        }
        let socket = "import socket; socket.socket(socket.AF_UNIX).bind('out')"
        expectSentence(run, try shell("python3 -c \"\(socket)\"; leafcutter > plain", run), [2])
        #expect(try takeNames() == ["out", "plain"])
    }

    private static let canMount =
        (try? Leafcutter.shell("unshare --user --map-root-user --mount mount -t tmpfs none /mnt").status) == 0

    /// A file system that nobody may write to, and one without room.
    @Test(.enabled(if: canMount, "this user may not mount a file system"), arguments: writers)
    func anOutputLiesOnADiskThatIsReadOnlyOrFull(run: CommandRun) throws {
        for options in ["ro", "size=4k,nr_inodes=1"] {
            let refused = try shell(
                """
                mkdir disk; export -f leafcutter; export program; declare -p words > words
                unshare --user --map-root-user --mount bash -c '
                    . ./words; mount -t tmpfs -o \(options) none disk || exit 77; leafcutter > plain; s=$?
                    [ -z "$(ls disk)" ] || echo left >&2; exit $s'
                """, run, output: folder.path("disk/out"))
            expectSentence(run, refused, [1])
            #expect(try Data(contentsOf: URL(filePath: folder.path("plain"))).isEmpty, "\(run) \(options)")
            #expect(try takeNames() == ["disk", "plain", "words"])
        }
    }

    // MARK: A limit on processes

    /// The program where a limit holds.
    private struct Limited {
        let folder: TemporaryDirectory
        /// What is written before the words.
        let start: String
    }

    /// Root knows no such limit, so somebody else runs it, who must be able to reach program and files.
    private static let limited: Limited? = {
        guard getuid() == 0 else {
            return (try? TemporaryDirectory()).map { Limited(folder: $0, start: #"ulimit -u 1; exec "$program""#) }
        }
        guard let folder = try? TemporaryDirectory() else { return nil }
        let program = folder.path("leafcutter")
        try? FileManager.default.copyItem(atPath: Leafcutter.path, toPath: program)
        let other = "timeout -s KILL 60 setpriv --reuid 61234 --regid 61234 --clear-groups prlimit --nproc=1"
        let tried = try? Leafcutter.shell(
            #"\#(other) "$1" inspect "$2" && \#(other) cat "$3""#, program, (try? Models.shared.get().demo) ?? "",
            Golden.demoModel.appending(path: "config.json").path)
        return tried?.status == 0 ? Limited(folder: folder, start: "\(other) \(DoorTests.quoted(program))") : nil
    }()

    @Test(
        .enabled(if: limited != nil, "root has no limit on processes, and nobody else can run the program here"),
        arguments: CommandRun.every)
    func aLimitOnProcessesIsASentence(run: CommandRun) throws {
        let start = try #require(Self.limited).start
        // For whoever else it is.
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.url.path)
        let outcome = try shell(#"(\#(start) "${words[@]}") > plain"#, run)
        guard outcome.status != 0 else { return }
        expectSentence(run, outcome, [1], "no more threads can be started")
        #expect(try takeNames() == ["plain"])
    }

    // MARK: Signals

    /// At whatever moment it comes: what was being made is whole, is not there, or can be gone on with.
    @Test(arguments: CommandRun.every, ["INT", "TERM", "HUP"])
    func aSignalEndsItSoonAndLeavesNothingHalfWritten(run: CommandRun, signal: String) throws {
        let ended = try shell(
            #"""
            set -m; "$program" "${words[@]}" > plain 2> error & pid=$!
            # The shell has something to say about its jobs, too.
            exec 3>&2 2> /dev/null
            bit=$((1 << ($(kill -l \#(signal)) - 1)))
            for i in $(seq 600); do
                caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' /proc/$pid/status) || break
                [ -n "$caught" ] || break
                [ $((16#${caught: -8} & bit)) -ne 0 ] && break
                sleep 0.05
            done
            sleep 0.\#(run.lasting == nil ? "02" : "3"); kill -\#(signal) $pid
            # A promise of two seconds; a machine that is busy has ten times as long.
            for i in $(seq 200); do kill -0 $pid || break; sleep 0.1; done
            kill -9 $pid && echo late >> error; wait $pid; s=$?; cat error >&3; exit $s
            """#, run, words: run.lasting)
        #expect(!ended.error.contains("late\n"), "\(run): \(ended.error)")
        let names = Set(try FileManager.default.contentsOfDirectory(atPath: folder.url.path))
        if ended.status == 130 {
            let last = complaints(ended).last ?? ""
            #expect(last.contains("interrupted") || last.contains("stopped"), "\(run): \(ended.error)")
        } else {
            // It was over, or was one that has nothing to end.
            #expect(run.lasting == nil, "\(run): \(ended.status) \(ended.error)")
            #expect(ended.status == 0 || run.output == nil, "\(run): \(ended.status) \(ended.error)")
        }
        let isResumable =
            run.output == .model && names.isSuperset(of: ["out.part", "out.journal"])
            || run.output == .answers && names.isSuperset(of: ["out", "out.job"])
        #expect(isResumable || !names.contains { $0.hasPrefix("out.") }, "\(run): \(names)")
        if run.output == .model, run.lasting == nil {
            // The same command goes on, or says that all is there.
            let again = try shell("leafcutter", run)
            #expect(again.status == (names.contains("out") ? 2 : 0), "\(run): \(again.error)")
            #expect(try Leafcutter.run("verify", folder.path("out"), "-q").status == 0)
        }
        if run.output == .answers {
            // Whether it had begun or not.
            let again = try shell("leafcutter", run, words: run.arguments + ["--resume"])
            #expect(again.status == 0, "\(run): \(again.error)")
            #expect(try Data(contentsOf: URL(filePath: folder.path("out"))).count { $0 == UInt8(ascii: "\n") } == 1)
        }
        if run.output == .folder, names.contains("out") {
            #expect(try Leafcutter.run("convert", folder.path("out"), folder.path("again"), "-q").status == 0)
        }
        _ = try takeNames()
    }

    @Test(arguments: CommandRun.every.filter { !$0.isSlow })
    func whatWasIgnoredAtTheStartStaysIgnored(run: CommandRun) throws {
        let ended = try shell(
            #"""
            trap '' INT HUP TERM; "$program" "${words[@]}" > plain & pid=$!
            for i in $(seq 600); do
                kill -HUP $pid 2> /dev/null || break; kill -INT $pid 2> /dev/null; kill -TERM $pid 2> /dev/null
                sleep 0.02
            done
            wait $pid
            """#, run)
        #expect(ended.status == 0 && complaints(ended).isEmpty, "\(run): \(ended.status) \(ended.error)")
        _ = try takeNames()
    }
}
