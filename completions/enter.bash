# bash completion for enter(1). It needs no other file: source it, or put it where bash-completion looks.
#
# Everything that can be completed is known by `enter` itself; this only hands the line over and the answer back.

_enter() {
    local answer
    answer=$(enter __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null) || return
    case $answer in
    :files)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        ;;
    :directories)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$2")
        ;;
    '') COMPREPLY=() ;;
    *)
        mapfile -t COMPREPLY <<<"$answer"
        # The name of a container whose path is yet to come.
        case $answer in *:) compopt -o nospace 2>/dev/null ;; esac
        ;;
    esac
}

complete -F _enter enter
