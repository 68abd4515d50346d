# fish completion for enter(1).
#
# Everything that can be completed is known by `enter` itself; this only hands the words over and the answer back.

function __enter_complete
    set -l word (commandline --current-token)
    set -l answer (enter __complete fish (commandline --tokenize --cut-at-cursor --current-process) "$word" 2>/dev/null)
    switch "$answer[1]"
        case :files
            __fish_complete_path "$word"
        case :directories
            __fish_complete_directories "$word"
        case '*'
            printf '%s\n' $answer
    end
end

complete --command enter --no-files --keep-order --arguments '(__enter_complete)'
