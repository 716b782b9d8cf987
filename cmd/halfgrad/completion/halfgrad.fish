# fish completion for halfgrad: halfgrad completion fish | source
function __halfgrad_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete fish $words[2..] "$current" 2>/dev/null)
        if string match -q ':file*' -- $line
            __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
        else
            echo $line
        end
    end
end
complete -c halfgrad -f -a '(__halfgrad_complete)'
