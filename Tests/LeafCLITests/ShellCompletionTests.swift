import Foundation
import GoldenSupport
import Testing

/// The completions, carried out by the shells themselves.
@Suite struct ShellCompletionTests {
    /// What stands in the line before the tab, and after it.
    private static let lines = [
        ("leafcutter gen", "leafcutter generate "),
        ("leafcutter --ver", "leafcutter --version "),
        ("leafcutter generate m.leaf --temp", "leafcutter generate m.leaf --temperature "),
        ("leafcutter generate m.leaf --io d", "leafcutter generate m.leaf --io direct "),
        ("leafcutter generate m.leaf --io=d", "leafcutter generate m.leaf --io=direct "),
        ("leafcutter completions z", "leafcutter completions zsh "),
        ("leafcutter verify -q a\\ m", "leafcutter verify -q a\\ model.leaf "),
        ("leafcutter convert x y --config a\\ m", "leafcutter convert x y --config a\\ model.leaf "),
    ]

    /// Where a model is expected, its files come before all others.
    private static let models = [
        ("leafcutter verify ", "leafcutter verify a\\ model.leaf "),
        ("leafcutter generate -m ", "leafcutter generate -m a\\ model.leaf "),
        ("leafcutter perplexity m.leaf n", "leafcutter perplexity m.leaf notes "),
        ("leafcutter verify n", "leafcutter verify notes "),
    ]

    private let folder: TemporaryDirectory

    init() throws {
        folder = try TemporaryDirectory()
        for name in ["a model.leaf", "notes"] { try Data().write(to: URL(filePath: folder.path(name))) }
    }

    @Test(.enabled(if: Self.has("bash", "script"), "bash or script is missing"), arguments: lines + models)
    func bashCompletes(typed: String, expected: String) throws {
        try write(
            """
            source <("\(Leafcutter.path)" completions bash)
            show() { printf '<<%s>>\\n' "$READLINE_LINE"; exit; }
            bind -x '"\\C-t": show'
            """, to: ".bashrc")
        #expect(try line("bash --noprofile --rcfile .bashrc -i", after: typed) == expected)
    }

    @Test(.enabled(if: Self.has("zsh", "script"), "zsh or script is missing"), arguments: lines + models)
    func zshCompletes(typed: String, expected: String) throws {
        try write(try Leafcutter.run("completions", "zsh").text, to: "_leafcutter")
        try write(
            """
            fpath=("$PWD" $fpath); autoload -U compinit; compinit -u -D
            show() { print -r -- "<<$BUFFER>>"; exit; }
            zle -N show; bindkey '^T' show
            """, to: ".zshrc")
        // zsh puts the sign behind a name, and takes it away when a blank is typed.
        let wanted = expected.replacing("--temperature ", with: "--temperature=")
        #expect(try line("ZDOTDIR=. zsh -d -i", after: typed) == wanted)
    }

    @Test(.enabled(if: Self.has("fish"), "fish is missing"), arguments: lines)
    func fishCompletes(typed: String, expected: String) throws {
        let run = try Leafcutter.shell(
            #"cd "$1"; fish --no-config -c '$argv[1] completions fish | source; complete -C $argv[2]' "$0" "$2""#,
            folder.url.path, typed)
        // One candidate for the last word, its description behind a tab.
        let candidates = run.text.split(separator: "\n").map { $0.split(separator: "\t")[0] }
        let word = expected.dropLast().replacing("\\ ", with: "\u{A0}").split(separator: " ").last
        #expect(candidates == [word?.replacing("\u{A0}", with: " ")], "\(run.error)")
    }

    /// The line in a shell on a terminal of its own after a tab; the key ^T prints it and ends the shell.
    private func line(_ shell: String, after typed: String) throws -> String? {
        let run = try Leafcutter.shell(
            #"cd "$1"; printf '%s\t\024' "$2" | timeout 60 script -qec "$3" /dev/null"#, folder.url.path, typed, shell)
        let shown = run.text.split(separator: "<<").last?.split(separator: ">>").first
        return shown.map(String.init)
    }

    private func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: folder.path(name)))
    }

    private static func has(_ programs: String...) -> Bool {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return programs.allSatisfy { program in
            folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
        }
    }
}
